//! An issuer of tokens as far as the bench needs one: the public keys, and one token of each.
//!
//! The private keys were thrown away when the tokens were signed, so there will never be others.

/// A method of the bench trusts these keys: a JSON Web Key Set in base64.
pub(crate) const KEY_SET: &str = "\
    eyJrZXlzIjpbeyJrdHkiOiJFQyIsImNydiI6IlAtMjU2Iiwia2lkIjoiRVMyNTYiLCJ4IjoiUWI1VHhJYVpLWXZDdW\
    ZhWThLUElLRlNrZ1BmUTZlM3dHYUxSU0FmaFNRZyIsInkiOiJDTTRJQmNYSHpfNXY0bWxGc0VVbms4R1RnclNwNldm\
    MGh6NkNDZkRDQnc4In0seyJrdHkiOiJSU0EiLCJraWQiOiJSUzI1NiIsIm4iOiJwWEVldV9jOHRYUWFWNmc0U0FWY0\
    F3b20xd2h4Vm9pR3VQZUFpNEhUT1h4MzM4Mlh6aExTY3Uyck9vSDlSQmtuZFVWYmtOa3VsRlJpXzNfc0RDQldzS281\
    QWtjVFdUczFCSHVMSVJPcXNNLWNPRUMycVJoRUJWS3lZRUVPYTVockFCR2RxcG1lLUpjSlpSZEhlay1HeXp3Qk9wNz\
    hVbnhIRW5nSmtQdEZNOVNRZGpPRlhhNndKc3JmSS1DYUNoblFvMnFKRlMwcHBSejNrZ093dXdzdGliYUlsVjMtT2Rw\
    dW8tSUcyOE9pSGFRYURkY3VLX1ozTE9HS1BNbkJVT0Rid3p0dW1TXzBhOUh5XzNsYkdlYUh5cWRkZWRNNDFMSzhMY3\
    VSNmlZRVNNcDRQbVVFcmZDall1dU9GRU1sUVpoNG5ITmhJX1BJUmh3ZS1aZVVqYUgzdnciLCJlIjoiQVFBQiJ9XX0=";

/// A token signed with ECDSA on P-256, good until the year 2100.
pub(crate) const ES256: &str = "\
    eyJhbGciOiJFUzI1NiIsImtpZCI6IkVTMjU2In0.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwiYXVkIjoiYm\
    VuY2giLCJzdWIiOiJiZW5jaCIsImV4cCI6NDEwMjQ0NDgwMCwiZ3JvdXBzIjpbImRldmVsb3BlcnMiLCJvcGVyYXRv\
    cnMiXX0.7kVG4qPZgD7Jn5oqyfaIgjaxPyTAJXXyjiSvakeF0gg4_NueDkc3Hw4ep2nyNBTByOiSTb8HUD6xU_9UQj\
    H6Tg";

/// The same signed with RSA of 2,048 bits.
pub(crate) const RS256: &str = "\
    eyJhbGciOiJSUzI1NiIsImtpZCI6IlJTMjU2In0.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwiYXVkIjoiYm\
    VuY2giLCJzdWIiOiJiZW5jaCIsImV4cCI6NDEwMjQ0NDgwMCwiZ3JvdXBzIjpbImRldmVsb3BlcnMiLCJvcGVyYXRv\
    cnMiXX0.ZxZ_cmPufDTitBM5uSPT81cy-KBGFbZ-mLU8mXQo25Vq98YviAQaYo5bM_YFqBfRAb_kIUVHmHKPD8BuBr\
    m2-s5RfvL5cKCJohvR6choemiCYNhKI0dn3qjc0dwAhz8ZaOpI7cPVFIkM5yFqkeh0Hk3G62sV8Ygtv7izsfwRWGfZ\
    XUdLr0Khs9p-zgk27Ja6iVey_XOoBFGE2laasUbZ4FRHPpHEF1gwCYSojcTOzM6MmEF7CeJ1xLS09iUx3hn_hKZFfE\
    X3zlT7i8SSReR6UhuxBJMv_SD0H9uQ1LytuuFqWOSIn-cS11TmVTCyBv-89vFGT2c4y6h7sXFrXJWUig";
