"""The commands of ``vitcli``, one file each: read the words, call the package that does the work, print, return the exit code."""
