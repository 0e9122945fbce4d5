"""One file per paper: its models as data for the skeletons, and rules that turn the names of its public weights into ours."""
