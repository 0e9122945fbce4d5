"""What a run leaves on disk, defined once: the names of the files, what is written into them, and how they are read."""
