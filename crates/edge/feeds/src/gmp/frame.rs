//! Where an XML document ends, byte by byte: when its outermost element does.
//!
//! In: bytes. Out: whether the document has ended. Refuses nothing: what is no XML never ends, and the caller's limit holds.

/// Where the bytes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Between tags.
    #[default]
    Text,
    /// Right behind `<`.
    Begin,
    /// In a tag that opens an element.
    Open,
    /// In a tag that closes one.
    Close,
    /// In a quoted value, which may hold `>`.
    Quoted(u8),
    /// In `<?…?>`.
    Instruction,
    /// In `<!…`, of which it is not known yet what it is: how many bytes of it were seen.
    Declaration(u8),
    /// In `<!--…-->`.
    Comment,
    /// In `<![CDATA[…]]>`.
    Data,
}

/// Follows a document.
#[derive(Debug, Default)]
pub(super) struct Frame {
    place: Place,
    depth: u32,
    before: [u8; 2],
}

impl Frame {
    /// Takes a byte, and says whether the document ends with it.
    pub(super) fn feed(&mut self, byte: u8) -> bool {
        let [second, last] = self.before;
        self.before = [last, byte];
        let mut has_closed = false;
        self.place = match (self.place, byte) {
            (Place::Text, b'<') => Place::Begin,
            (Place::Begin, b'/') => Place::Close,
            (Place::Begin, b'?') => Place::Instruction,
            (Place::Begin, b'!') => Place::Declaration(0),
            (Place::Begin | Place::Open, b'>') => {
                if last == b'/' {
                    has_closed = true;
                } else {
                    self.depth = self.depth.saturating_add(1);
                }
                Place::Text
            }
            (Place::Open, b'"' | b'\'') => Place::Quoted(byte),
            (Place::Begin, _) => Place::Open,
            (Place::Quoted(quote), byte) if quote == byte => {
                // The quote is no `/` before a `>`.
                self.before = [0, 0];
                Place::Open
            }
            (Place::Close, b'>') => {
                self.depth = self.depth.saturating_sub(1);
                has_closed = true;
                Place::Text
            }
            (Place::Instruction, b'>') if last == b'?' => Place::Text,
            (Place::Declaration(0), b'[') => Place::Data,
            (Place::Declaration(1), b'-') if last == b'-' => {
                // `<!-->` is no whole comment.
                self.before = [0, 0];
                Place::Comment
            }
            (Place::Declaration(_), b'>') => Place::Text,
            (Place::Declaration(seen), _) => Place::Declaration(seen.saturating_add(1)),
            (Place::Comment, b'>') if [second, last] == *b"--" => Place::Text,
            (Place::Data, b'>') if [second, last] == *b"]]" => Place::Text,
            (place, _) => place,
        };
        has_closed && self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;

    #[test]
    fn a_document_ends_with_its_outermost_element() {
        let check = |text: &str, expected: Option<usize>| {
            let mut frame = Frame::default();
            let end = text.bytes().position(|byte| frame.feed(byte));
            assert_eq!(end, expected.map(|end| end - 1), "{text}");
        };
        check("<a/>", Some(4));
        check("<a></a>tail", Some(7));
        check("<?xml version='1.0'?><a b='>'><c/>x</a>", Some(39));
        check("<!-- <a/> --><a b=\"/\"><c d='/'></c></a>", Some(39));
        check("<a><![CDATA[</a> ]] > ]]></a>", Some(29));
        check("<!DOCTYPE a><a/>", Some(16));
        check("<a><!----></a>", Some(14));
        for open in ["", "<a", "<a>", "<a><b/>", "<a b='", "<a><!-->", "<a><![CDATA[</a>", "</", "x"] {
            check(open, None);
        }
    }
}
