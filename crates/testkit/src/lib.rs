//! Development only: a simulated clock and network around the switchboard.
