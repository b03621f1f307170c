//! Tests of the crate as a whole: what peers send, what is let in, what two sets become. The small ones are beside the
//! code.

mod admission;
mod make;
mod sync;
