"""Detection: torchvision's detectors on any pyramid, with the rules of the papers' recipes."""
