//! Errors as a log shows them.

use std::{error::Error, iter::successors};

/// What went wrong and every cause of it, on one line: a library mostly says only in the last of them what the matter is.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let all = successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use crate::{AppendError, ExecuteError};

    #[test]
    fn a_cause_is_told_once() {
        let error = ExecuteError::<std::fmt::Error>::Unknown(AppendError::Unknown("no route to host".into()));
        let told = super::causes(&error);
        assert_eq!(
            told,
            "whether the command had its effect is not known: whether the commit is recorded is not known: no route to host"
        );
    }
}
