"""One denoising call made fast: the same answers from different engines."""
