//! `latchkey info`: what the App API says of an app connection.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{anyhow, bail};
use http::{HeaderName, StatusCode};
use serde_json::Value;

use crate::app_side::client::{Answer, Client};
use crate::app_side::connection::AppConnection;
use crate::app_side::passing;
use crate::app_side::portal::plain;
use crate::cli::InfoArgs;
use crate::output;

const PATH: &str = "api/appconnection/info";
const TOKEN: HeaderName = HeaderName::from_static("apptoken");
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What relays say for a time that never was.
const NEVER: &str = "0001-01-01";
/// From here on a number stands for no limit: 2^53 - 1 bytes, and 68 years.
const NO_LIMIT_BYTES: u64 = 1 << 50;
const NO_LIMIT_SECONDS: u64 = 1 << 30;

pub(crate) async fn run(args: &InfoArgs) -> anyhow::Result<()> {
    let connection = AppConnection::read(&args.file)?;
    let mut client = Client::new(connection.relay()?, args.ca_file.as_deref())?;
    let url = client.server().url(PATH);
    let token = (TOKEN, connection.app_token()?);
    let answer = client.get_with(&url, token, ANSWER_WITHIN).await?;
    let info = read(&client, &answer)?;
    if args.json {
        output::result(&serde_json::to_string_pretty(&info)?);
    } else {
        output::result(&in_words(&info));
    }
    Ok(())
}

fn read(client: &Client, answer: &Answer) -> anyhow::Result<Value> {
    let name = client.name();
    if passing::is_relays_own(answer.status) {
        bail!("{}", passing::explain(answer.status));
    }
    if answer.status != StatusCode::OK {
        bail!(
            "{name} answered {}; is it a relay, and up to date?",
            answer.status
        );
    }
    let body = answer.json();
    let body = body.ok_or_else(|| anyhow!("{name} answered without JSON; is it a relay?"))?;
    // Some relays answer bare, as the documents show it.
    let info = body.get("Result").filter(|result| result.is_object());
    let info = info.unwrap_or(&body);
    if !info["IsOnline"].is_boolean() {
        bail!("{name} answered something else than was asked for; is it a relay, and up to date?");
    }
    Ok(info.clone())
}

fn in_words(info: &Value) -> String {
    let limits = &info["PrinterLimits"];
    let rows = [
        ("Printer", text(&info["PrinterName"])),
        ("State", state(info)),
        ("At home", text(&info["PrinterLocalIp"])),
        ("Page", text(&info["UserFacingPrinterUrl"])),
        ("Upload", bytes(&limits["MaxUploadFileSizeBytes"])),
        ("Download", bytes(&limits["MaxDownloadFileSizeBytes"])),
        (
            "Webcam",
            seconds(&limits["MaxSingleWebcamStreamLengthSeconds"]),
        ),
    ];
    let mut table = String::new();
    for (name, value) in rows {
        let _ = writeln!(table, "{name:<9} {value}");
    }
    table.trim_end().to_owned()
}

fn text(value: &Value) -> String {
    match value.as_str().map(plain) {
        Some(text) if !text.is_empty() => text,
        _ => "not known".to_owned(),
    }
}

fn state(info: &Value) -> String {
    let when = |name: &str| {
        let at = info[name].as_str().map(plain)?;
        (!at.starts_with(NEVER) && !at.is_empty()).then_some(at)
    };
    if info["IsOnline"] == true {
        return when("LastConnectionTimeUtc")
            .map_or_else(|| "online".to_owned(), |at| format!("online since {at}"));
    }
    match when("LastDisconnectTimeUtc") {
        Some(at) => format!("offline since {at}"),
        None if when("LastConnectionTimeUtc").is_some() => "offline".to_owned(),
        None => "offline; was never connected".to_owned(),
    }
}

fn bytes(value: &Value) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some(count) = value.as_u64() else {
        return "not known".to_owned();
    };
    if count >= NO_LIMIT_BYTES {
        return "any size".to_owned();
    }
    let unit = UNITS.iter().find(|(size, _)| count >= *size);
    let Some((size, unit)) = unit else {
        return format!("up to {count} bytes");
    };
    let tenths = u128::from(count) * 10 / u128::from(*size);
    format!("up to {}.{} {unit}", tenths / 10, tenths % 10)
}

fn seconds(value: &Value) -> String {
    match value.as_u64() {
        None => "not known".to_owned(),
        Some(count) if count >= NO_LIMIT_SECONDS => "as long as you like".to_owned(),
        Some(count) => format!("up to {count} s in one go"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_relay_says_is_put_into_words() {
        let info = json!({
            "PrinterName": "Work\u{1b}[31mshop", "PrinterLocalIp": "192.168.1.9",
            "IsOnline": true,
            "LastConnectionTimeUtc": "2026-11-25T10:00:00Z",
            "LastDisconnectTimeUtc": "0001-01-01T00:00:00",
            "PrinterLimits": {
                "MaxDownloadFileSizeBytes": 9_007_199_254_740_991_u64,
                "MaxUploadFileSizeBytes": 1_610_612_736_u64,
                "MaxSingleWebcamStreamLengthSeconds": 120,
            },
        });
        assert_eq!(
            in_words(&info),
            "Printer   Work?[31mshop\n\
             State     online since 2026-11-25T10:00:00Z\n\
             At home   192.168.1.9\n\
             Page      not known\n\
             Upload    up to 1.5 GiB\n\
             Download  any size\n\
             Webcam    up to 120 s in one go"
        );
    }

    #[test]
    fn a_printer_is_offline_since_or_was_never_there() {
        let never = "0001-01-01T00:00:00";
        let at = "2026-11-25T10:00:00Z";
        for (connected, lost, told) in [
            (never, never, "offline; was never connected"),
            (at, never, "offline"),
            (at, at, "offline since 2026-11-25T10:00:00Z"),
        ] {
            let info = json!({
                "IsOnline": false,
                "LastConnectionTimeUtc": connected,
                "LastDisconnectTimeUtc": lost,
            });
            assert_eq!(state(&info), told);
        }
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (count, told) in [
            (512, "up to 512 bytes"),
            (1024, "up to 1.0 KiB"),
            (524_288_000, "up to 500.0 MiB"),
        ] {
            assert_eq!(bytes(&json!(count)), told);
        }
        assert_eq!(bytes(&Value::Null), "not known");
        assert_eq!(seconds(&json!(2_147_483_647)), "as long as you like");
    }
}
