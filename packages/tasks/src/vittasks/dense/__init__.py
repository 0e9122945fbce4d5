"""What segmentation and detection share: a pyramid as a backbone, the feature pyramid on it, public names of weights."""
