"""Talking to Label Studio; here alone a "task" is what Label Studio calls so (`ls_task`)."""
