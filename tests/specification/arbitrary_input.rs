//! Whatever comes from outside: anything at all, and something good with a few bytes changed. Nothing panics. The same targets are a
//! fuzzer's in `tests/fuzz`.

use proptest::prelude::*;
use tests::TARGETS;

/// A good input with some of its bytes replaced, taken out or repeated.
fn changed(good: &[u8], changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for (place, kind, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let place = place.index(bytes.len());
        match kind % 4 {
            0 => bytes[place] = *byte,
            1 => drop(bytes.remove(place)),
            2 => bytes.insert(place, *byte),
            // A digit, a sign or a quote does more than any byte.
            _ => bytes[place] = b"0123456789-+.eE\"{}[]:,nt\\u"[usize::from(*byte) % 26],
        }
    }
    bytes
}

proptest! {
    #[test]
    fn nothing_panics_on_anything(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        for (_, target, _) in TARGETS {
            target(&bytes);
            target(text.as_bytes());
        }
    }

    #[test]
    fn nothing_panics_on_what_is_nearly_good(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..6),
    ) {
        for (_, target, good) in TARGETS {
            target(&changed(&good(), &changes));
        }
    }
}

#[test]
fn the_good_inputs_are_good() {
    for (_, target, good) in TARGETS {
        target(&good());
    }
}
