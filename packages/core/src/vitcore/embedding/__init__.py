"""From images to grids, and from grids to coarser ones."""
