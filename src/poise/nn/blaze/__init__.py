"""The official BlazePose networks (arXiv 2006.10204, MediaPipe): a MobileNet-like trunk, landmarks, a detector of people."""
