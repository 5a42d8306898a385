//! What is sent: SOAP envelopes of WS-Management (DMTF DSP0226) for remote shells (MS-WSMV).

use std::fmt::Write as _;

use keysherd_base::{Fault, SecretString};

use crate::Way;

/// The namespaces of an envelope.
const NAMESPACES: &str = "xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
     xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
     xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" \
     xmlns:rsp=\"http://schemas.microsoft.com/wbem/wsman/1/windows/shell\"";
const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
const RESOURCE: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
/// Largest answer that is asked for, in bytes: less than is read of XML.
const ANSWER_BYTES: usize = 153_600;
/// How long a machine waits for something to answer with, in seconds.
const WAIT_SECONDS: u64 = 4;

/// What is wished for. Identifiers were looked at before; commands and inputs are of characters
/// that mean nothing in XML, or are escaped.
pub(super) enum Wish<'a> {
    /// A shell.
    Create,
    /// A command in the shell of this identifier.
    Command(&'a str, &'a str),
    /// All of its input, in base64: shell, command, input.
    Send(&'a str, &'a str, &'a SecretString),
    /// What it has said since: shell, command.
    Receive(&'a str, &'a str),
    /// The end of the shell.
    Delete(&'a str),
}

impl Wish<'_> {
    fn action(&self) -> (&'static str, &'static str) {
        match self {
            Self::Create => (TRANSFER, "Create"),
            Self::Command(..) => (SHELL, "Command"),
            Self::Send(..) => (SHELL, "Send"),
            Self::Receive(..) => (SHELL, "Receive"),
            Self::Delete(_) => (TRANSFER, "Delete"),
        }
    }

    fn shell(&self) -> Option<&str> {
        match self {
            Self::Create => None,
            Self::Command(shell, _)
            | Self::Send(shell, ..)
            | Self::Receive(shell, _)
            | Self::Delete(shell) => Some(shell),
        }
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Create => &[("WINRS_NOPROFILE", "TRUE"), ("WINRS_CODEPAGE", "65001")],
            // What is sent is a pipe's, not a console's.
            Self::Command(..) => {
                &[("WINRS_CONSOLEMODE_STDIN", "FALSE"), ("WINRS_SKIP_CMD_SHELL", "FALSE")]
            }
            _ => &[],
        }
    }
}

/// The envelope. Its input is in it, so it is wiped.
pub(super) fn envelope(to: &str, wish: &Wish<'_>, way: &Way) -> Result<SecretString, Fault> {
    let (begin, action) = wish.action();
    let mut id = String::with_capacity(36);
    for (place, byte) in way.rng.array::<16>()?.iter().enumerate() {
        let dash = if [4, 6, 8, 10].contains(&place) { "-" } else { "" };
        // Writing into memory does not fail.
        let _ = write!(id, "{dash}{byte:02X}");
    }
    let must = "s:mustUnderstand=\"true\"";
    let mut text = SecretString::new(String::with_capacity(8 * 1024));
    let out = text.expose_mut();
    let _ = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope {NAMESPACES}><s:Header>\
         <a:To>{}</a:To><a:ReplyTo><a:Address {must}>{ANONYMOUS}</a:Address></a:ReplyTo>\
         <w:ResourceURI {must}>{RESOURCE}</w:ResourceURI>\
         <a:Action {must}>{begin}/{action}</a:Action>\
         <w:MaxEnvelopeSize {must}>{ANSWER_BYTES}</w:MaxEnvelopeSize>\
         <a:MessageID>uuid:{id}</a:MessageID>\
         <w:OperationTimeout>PT{WAIT_SECONDS}S</w:OperationTimeout>",
        escaped(to)
    );
    if let Some(shell) = wish.shell() {
        let selector = "<w:Selector Name=\"ShellId\">";
        let _ = write!(out, "<w:SelectorSet>{selector}{shell}</w:Selector></w:SelectorSet>");
    }
    if !wish.options().is_empty() {
        out.push_str("<w:OptionSet>");
        for (name, value) in wish.options() {
            let _ = write!(out, "<w:Option Name=\"{name}\">{value}</w:Option>");
        }
        out.push_str("</w:OptionSet>");
    }
    out.push_str("</s:Header><s:Body>");
    match wish {
        Wish::Create => out.push_str(
            "<rsp:Shell><rsp:IdleTimeOut>PT60S</rsp:IdleTimeOut>\
             <rsp:InputStreams>stdin</rsp:InputStreams>\
             <rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>",
        ),
        Wish::Command(_, command) => {
            let command = escaped(command);
            let line = format!("<rsp:Command>{command}</rsp:Command>");
            let _ = write!(out, "<rsp:CommandLine>{line}</rsp:CommandLine>");
        }
        Wish::Send(_, command, input) => {
            let _ = write!(
                out,
                "<rsp:Send><rsp:Stream Name=\"stdin\" CommandId=\"{command}\" End=\"true\">{}\
                 </rsp:Stream></rsp:Send>",
                input.expose()
            );
        }
        Wish::Receive(_, command) => {
            let _ = write!(
                out,
                "<rsp:Receive><rsp:DesiredStream CommandId=\"{command}\">stdout stderr\
                 </rsp:DesiredStream></rsp:Receive>"
            );
        }
        Wish::Delete(_) => {}
    }
    out.push_str("</s:Body></s:Envelope>");
    Ok(text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
