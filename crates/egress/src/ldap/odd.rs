//! What a directory says that the driver cannot make sense of. It does not fail then: it panics,
//! in whoever asked.

use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The outcome of asking a directory by the driver, and of taking its answer apart.
///
/// # Errors
/// Those of `asking`, and one when the driver panics.
pub async fn sensible<T, E: From<io::Error>>(
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut asking = pin!(asking);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| asking.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(odd())))
    })
    .await
}

fn odd<E: From<io::Error>>() -> E {
    io::Error::other("the directory's answer is not as answers are").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let asked = async |word: &str| {
            sensible(async {
                tokio::task::yield_now().await;
                match word {
                    "odd" => panic!("entry"),
                    "none" => Err(io::Error::other("none")),
                    _ => Ok(word.len()),
                }
            })
            .await
        };
        assert_eq!(asked("alice").await.unwrap(), 5);
        assert_eq!(asked("none").await.unwrap_err().to_string(), "none");
        assert!(asked("odd").await.unwrap_err().to_string().contains("not as answers are"));
    }
}
