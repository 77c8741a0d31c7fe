//! What a Trapless guest links.
#![no_std]
