//! Several nodes on a table: see the functions.
