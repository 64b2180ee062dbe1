#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::target("bus_event")(bytes));
