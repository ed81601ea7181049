"""The pure core: what a preview is and what should happen to it. No input, output, clock or log."""
