"""Other runtimes than PyTorch for a network: ONNX Runtime and OpenVINO; each is an extra, imported when it is first used."""
