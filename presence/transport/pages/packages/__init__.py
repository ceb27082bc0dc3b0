"""What is built to be taken elsewhere: the clients as packages, and the files of a release."""
