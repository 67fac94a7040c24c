"""RTMO (arXiv 2312.07526): parts of a network that finds everybody and their keypoints in one stage."""
