"""A model as one file that runs without poise: ONNX, or OpenVINO's intermediate representation."""
