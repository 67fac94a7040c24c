"""Moving pictures: frames of files, cameras and folders one by one (`frames`), and annotated videos (`writing`)."""
