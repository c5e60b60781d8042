"""What is true of the samples of a project, whatever the command."""
