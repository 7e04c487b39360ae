"""The judges, one file for each kind of question. The table gives their order."""
