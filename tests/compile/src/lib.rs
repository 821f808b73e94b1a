//! Nothing: the tests are in `tests/`. A package of their own has few dependencies for trybuild to build once more.
