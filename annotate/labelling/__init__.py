"""Sends questions to Label Studio and stores what raters answer."""
