//! What a text must be before it may be sent; [`crate::wire::template`] reads and fills it.

use crate::domain::ReplyKind;
use crate::wire::template::{Slot, Template};

/// Checks the text of a reply kind: besides sound placeholders it must hold what makes the conversation work.
pub fn check_reply(kind: ReplyKind, source: &str) -> Result<String, String> {
    let template = Template::parse(source)?;
    if kind == ReplyKind::Announcement {
        if template.uses(Slot::Handle) {
            return Err("an announcement answers nobody, so it can't hold {handle}".to_owned());
        }
    } else if !source.strip_prefix("@{handle}").is_some_and(|rest| rest.starts_with(' ')) {
        return Err("must begin with \"@{handle} \", or nobody is told".to_owned());
    }
    let of_no_offer = matches!(kind, ReplyKind::Frozen | ReplyKind::NothingToConfirm);
    let foreign = |slot: Slot| of_no_offer && slot != Slot::Handle && template.uses(slot);
    if let Some((name, _)) = Slot::ALL.into_iter().find(|(_, slot)| foreign(*slot)) {
        return Err(format!("{} concerns no offer, so it can't hold {{{name}}}", kind.name()));
    }
    let needed = match kind {
        ReplyKind::Prompt => "confirm_tag",
        ReplyKind::AlreadyTweeted | ReplyKind::Announcement => "buy_tag",
        _ => return Ok(source.to_owned()),
    };
    if !holds_whole_tag(source, needed) {
        return Err(format!("must hold \"#{{{needed}}}\" as a whole tag"));
    }
    Ok(source.to_owned())
}

/// Checks the text of an e-mail.
pub fn check_email(source: &str) -> Result<String, String> {
    if Template::parse(source)?.uses(Slot::Handle) {
        return Err("an e-mail goes to no handle, so it can't hold {handle}".to_owned());
    }
    Ok(source.to_owned())
}

/// A tag is whole only where no word touches it, and sure to be there only outside of optional parts.
fn holds_whole_tag(source: &str, name: &str) -> bool {
    let written = format!("{{{name}}}");
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '&' | '#' | '{' | '}');
    source.match_indices(&written).any(|(at, _)| {
        let before = source[..at].strip_suffix('#').unwrap_or(&source[..at]);
        let after = &source[at + written.len()..];
        let optional = before.matches("[[").count() > before.matches("]]").count();
        !optional && !before.ends_with(word) && !after.starts_with(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_hold_what_the_conversation_needs() {
        let good = |kind, text| check_reply(kind, text).is_ok();
        assert!(good(ReplyKind::Prompt, "@{handle} Tweet #{confirm_tag}, pls"));
        assert!(good(ReplyKind::Prompt, "@{handle} Tweet {confirm_tag}[[ by {closes}]]"));
        for bad in [
            "Tweet #{confirm_tag}",
            "@{handle}, #{confirm_tag}",
            "@{handle} a{confirm_tag}",
            "@{handle} #{confirm_tag}s",
            "@{handle} hi[[ {confirm_tag}]]",
            "@{handle} #{confirm_tag} {itm}",
            "@{handle} #{confirm_tag} {",
        ] {
            assert!(!good(ReplyKind::Prompt, bad), "{bad}");
        }
        assert!(!good(ReplyKind::AlreadyTweeted, "@{handle} again?"));
        assert!(!good(ReplyKind::Frozen, "@{handle} {item}"));
        assert!(!good(ReplyKind::Announcement, "@{handle} #{buy_tag}"));
        assert!(good(ReplyKind::Announcement, "Get {item}! Tweet #{buy_tag}"));
        assert!(check_email("Dear {handle}").is_err());
    }
}
