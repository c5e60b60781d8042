"""Groups of commands beside those of `cli`: parse, call one step, print its report. No logic lives here."""
