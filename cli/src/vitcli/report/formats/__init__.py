"""The formats in which the report is written."""
