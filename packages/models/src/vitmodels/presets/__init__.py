"""One file a paper: its models as data for the skeletons, and how the names of its public weights become ours."""
