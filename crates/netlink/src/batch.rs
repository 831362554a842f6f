//! Several requests in one send(2).
use crate::frame::{self, Frames, NLMSG_ERROR};
use crate::message::{Message, Object, Verb};
use crate::{Error, Netlink, Result};

/// Most bytes of one send: safely below the default send buffer of a socket.
const LONGEST_SEND: usize = 64 * 1024;
/// Most requests of one send: their acknowledgements, about a KiB of kernel memory each, must fit the receive buffer.
const MOST_REQUESTS: usize = 128;

/// Requests that go to the kernel together. It does them in order, and goes on past those that fail.
///
/// ```no_run
/// use libcontainer_netlink::{Address, Batch, Index, Netlink, Verb};
///
/// let mut netlink = Netlink::open()?;
/// let mut batch = Batch::new();
/// for address in ["10.0.0.1/24", "2001:db8::1/64"] {
///     batch.push(Verb::Add, &Address::new(Index::LOOPBACK, address.parse()?))?;
/// }
/// for result in netlink.run(&mut batch)? {
///     result?;
/// }
/// # Ok::<(), libcontainer_netlink::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    requests: Vec<Pending>,
    message: Message,
}

#[derive(Debug)]
struct Pending {
    start: usize,
    name: String,
    module: Option<&'static str>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a request behind the others.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the batch stays as it was.
    pub fn push(&mut self, verb: Verb, object: &impl Object) -> Result<()> {
        object.encode(verb, &mut self.message)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(self.message.seal(0, 0)?);
        self.requests.push(Pending { start, name: format!("{verb} {object}"), module: object.module() });
        Ok(())
    }

    /// Requests in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether it holds no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Forgets the requests, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.requests.clear();
    }

    /// The bytes of a request; none beyond the last.
    fn request(&self, place: usize) -> &[u8] {
        let start = self.requests.get(place).map_or(self.bytes.len(), |pending| pending.start);
        let end = self.requests.get(place + 1).map_or(self.bytes.len(), |pending| pending.start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The end of the requests from `first` on that go into one send.
    fn chunk(&self, first: usize) -> usize {
        let start = self.requests.get(first).map_or(0, |pending| pending.start);
        let fits = |place: &usize| {
            let end = self.requests.get(*place + 1).map_or(self.bytes.len(), |next| next.start);
            *place == first || (end - start <= LONGEST_SEND && place - first < MOST_REQUESTS)
        };
        (first..self.len()).take_while(fits).last().map_or(self.len(), |last| last + 1)
    }

    fn stamp(&mut self, place: usize, sequence: u32, port: u32) {
        let start = self.requests.get(place).map_or(0, |pending| pending.start);
        if let Some(field) = self.bytes.get_mut(start + 8..start + 16) {
            let [s0, s1, s2, s3] = sequence.to_ne_bytes();
            let [p0, p1, p2, p3] = port.to_ne_bytes();
            field.copy_from_slice(&[s0, s1, s2, s3, p0, p1, p2, p3]);
        }
    }
}

impl Netlink {
    /// Sends a batch and gathers all acknowledgements: one result per request, in order. Up to 128 requests
    /// (64 KiB) go into one send(2). The batch can be run again.
    ///
    /// # Errors
    /// Only if the socket fails; then it is not known which of the requests were done.
    pub fn run(&mut self, batch: &mut Batch) -> Result<Vec<Result<()>>> {
        let mut results = Vec::with_capacity(batch.len());
        while results.len() < batch.len() {
            let first = results.len();
            let end = batch.chunk(first);
            self.run_chunk(batch, first, end, &mut results)?;
        }
        Ok(results)
    }

    fn run_chunk(
        &mut self,
        batch: &mut Batch,
        first: usize,
        end: usize,
        results: &mut Vec<Result<()>>,
    ) -> Result<()> {
        let base = self.next_sequence();
        let port = self.channel.port();
        for place in first..end {
            let sequence = if place == first { base } else { self.next_sequence() };
            batch.stamp(place, sequence, port);
        }
        let start = batch.requests.get(first).map_or(0, |pending| pending.start);
        let stop = batch.requests.get(end).map_or(batch.bytes.len(), |pending| pending.start);
        self.channel.send(batch.bytes.get(start..stop).unwrap_or_default())?;
        while results.len() < end {
            let lost = self.channel.receive();
            lost.map_err(|lost| lost.of_request(format!("batch of {} requests", batch.len())))?;
            for frame in Frames::new(&self.channel.buffer) {
                let frame = frame?;
                let place = results.len();
                // Acknowledgements come in the order of the requests.
                let ours = batch.request(place).get(8..12) == Some(&frame.sequence.to_ne_bytes()[..]);
                if !ours || place >= end || frame.port != port || frame.kind != NLMSG_ERROR {
                    continue;
                }
                let refusal = frame::acknowledgement(&frame, batch.request(place))?;
                results.push(refusal.map_or(Ok(()), |refusal| Err(batch.named(place, refusal))));
            }
        }
        self.channel.answered();
        Ok(())
    }
}

impl Batch {
    fn named(&self, place: usize, refusal: frame::Refusal) -> Error {
        let pending = self.requests.get(place);
        let name = pending.map_or_else(String::new, |pending| pending.name.clone());
        refusal.into_error(name, pending.and_then(|pending| pending.module))
    }
}
