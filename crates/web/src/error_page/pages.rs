//! One template per code.
#![expect(
    unused_qualifications,
    reason = "askama's derive writes variant names in full"
)]

use askama::Template;

use super::View;

#[derive(Template)]
pub(super) enum EdgePage<'a> {
    #[template(path = "edge/600.html")]
    Failed { p: &'a View<'a> },
    #[template(path = "edge/601.html")]
    NotConnected { p: &'a View<'a> },
    #[template(path = "edge/602.html")]
    NoAnswer { p: &'a View<'a> },
    #[template(path = "edge/603.html")]
    NotFound { p: &'a View<'a> },
    #[template(path = "edge/604.html")]
    Ended { p: &'a View<'a> },
    #[template(path = "edge/605.html")]
    NotEntitled { p: &'a View<'a> },
    #[template(path = "edge/606.html")]
    WrongCredentials { p: &'a View<'a> },
    #[template(path = "edge/607.html")]
    DownloadTooLarge { p: &'a View<'a> },
    #[template(path = "edge/608.html")]
    UploadTooLarge { p: &'a View<'a> },
    #[template(path = "edge/609.html")]
    CameraLimit { p: &'a View<'a> },
    #[template(path = "edge/610.html")]
    HostTooOld { p: &'a View<'a> },
    #[template(path = "edge/611.html")]
    NotOffered { p: &'a View<'a> },
    #[template(path = "edge/612.html")]
    HostFailed { p: &'a View<'a> },
    #[template(path = "edge/613.html")]
    NoPrint { p: &'a View<'a> },
    #[template(path = "edge/421.html")]
    Misdirected { p: &'a View<'a> },
}
