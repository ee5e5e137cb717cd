//! Black-box tests of stage 5.
