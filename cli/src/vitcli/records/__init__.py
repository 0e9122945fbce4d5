"""What a run leaves on disk, defined once: result.json, speed.json, ablation.json."""
