//! What letters say. Plain text, and nothing else: no pictures, no tracking, nothing to click but
//! an address that can be read.

use askama::Template;
use latchkey_model::account::Email;
use latchkey_model::app::AppName;
use latchkey_model::id::PrinterId;
use latchkey_model::print_letter::Occasion;
use latchkey_model::printer::PrinterName;
use latchkey_model::secret::LinkSecret;

/// A letter, before anybody knows to whom it goes.
#[derive(Debug)]
pub(crate) enum Letter {
    /// Is the address yours?
    Verify {
        code: LinkSecret,
    },
    Reset {
        code: LinkSecret,
    },
    JoinPrinter {
        code: LinkSecret,
        printer: PrinterName,
        owner: Email,
    },
    Invitation {
        code: LinkSecret,
    },
    /// With a browser, or from a network, that was not seen with the account before.
    SignedIn {
        device: String,
        network: String,
    },
    PrinterPaired {
        printer: PrinterName,
    },
    PrinterRemoved {
        printer: PrinterName,
    },
    AppConnected {
        app: AppName,
        printer: PrinterName,
    },
    PasswordChanged,
    CodesOn,
    CodesOff,
    RecoveryCodeUsed {
        left: u64,
    },
    RecoveryCodesMade,
    PasskeyAdded {
        name: String,
    },
    PasskeyRemoved {
        name: String,
    },
    /// By whoever runs the relay.
    FactorsReset,
    CopyHeldOff {
        printer: PrinterName,
        network: String,
    },
    /// An app connection, from a network and by a program that were not seen with it before.
    UsedElsewhere {
        app: String,
        agent: String,
        network: String,
    },
    /// Goes to the former address.
    AddressChanged,
    /// Something happened to a print that the person wanted to be told of.
    Print(Box<PrintNews>),
}

/// What happened to a print.
#[derive(Debug)]
pub(crate) struct PrintNews {
    pub(crate) occasion: Occasion,
    pub(crate) printer: PrinterName,
    pub(crate) id: PrinterId,
    /// Words of files and printers.
    pub(crate) file: Option<String>,
    pub(crate) message: Option<String>,
    /// A link to a picture.
    pub(crate) picture: Option<String>,
}

/// A letter's text: the first line is its subject.
#[derive(Template)]
#[template(path = "mail/letter.txt", escape = "none")]
struct Text<'a> {
    letter: &'a Letter,
    /// The relay's name, and its address.
    relay: &'a str,
    base: &'a str,
}

impl Letter {
    /// Subject and body. The subject has no text from outside, and no line of the body can pass
    /// for a field of the head: what stands between the lines is put together by a library that
    /// encodes both.
    pub(super) fn write(&self, relay: &str, base: &str) -> (String, String) {
        let text = Text {
            letter: self,
            relay,
            base,
        };
        let text = text.render().expect("templates write to memory");
        let (subject, body) = text.split_once('\n').unwrap_or((&text, ""));
        (subject.trim().to_owned(), format!("{}\n", body.trim()))
    }
}
