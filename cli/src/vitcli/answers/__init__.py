"""Kept answers: the records of finished ablations beside their files, the table of all questions, and repeated trials."""
