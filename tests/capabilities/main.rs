mod packaging;
