
mod packaging;
