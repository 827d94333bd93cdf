//! The bytes of a datum, taken one value after the other.

/// Why bytes are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// They end within a value.
    Cut,
    /// They are nothing that the type has.
    Damaged(&'static str),
}

impl Broken {
    /// What is wrong, for people.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Cut => "the datum ends here".to_owned(),
            Self::Damaged(what) => format!("the datum does not fit the schema: {what}"),
        }
    }
}

/// What is left of a datum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datum<'d> {
    rest: &'d [u8],
}

impl<'d> Datum<'d> {
    pub(crate) fn new(bytes: &'d [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn len(self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'d [u8], Broken> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Broken::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    /// As many bytes as an array has.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        Ok(self.take(N)?.try_into().expect("as many as were asked for"))
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Broken> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Broken::Damaged("a boolean is 0 or 1")),
        }
    }

    /// Avro's integers: seven bits a byte, the lowest first, zigzag.
    pub(crate) fn long(&mut self) -> Result<i64, Broken> {
        let mut bits: u64 = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.take(1)?[0];
            let more = u64::from(byte & 0x7f);
            if more << shift >> shift != more {
                break;
            }
            bits |= more << shift;
            if byte < 0x80 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(Broken::Damaged("an integer has more than 64 bits"))
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Result<&'d [u8], Broken> {
        let length = usize::try_from(self.long()?).map_err(|_| Broken::Damaged("a length is negative"))?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'d str, Broken> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Broken::Damaged("a text is not UTF-8"))
    }

    /// How many items the next block of a list or a map has; none: it is the end.
    pub(crate) fn block(&mut self) -> Result<u64, Broken> {
        let count = self.long()?;
        if count < 0 {
            // A writer that may have to skip says the block's length in bytes, too.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}
