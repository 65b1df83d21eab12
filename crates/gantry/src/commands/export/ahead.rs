//! Reading several instances at once, while they are written one after the other.

use super::source::{Item, Source, Stream, Wish};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Instances that are read at once.
const INSTANCES: usize = 8;
/// Chunks of each that wait to be written.
const CHUNKS: usize = 8;

/// Instances in their order, those ahead on their way already.
pub struct Ahead {
    source: Arc<Source>,
    wish: Arc<Wish>,
    rest: std::vec::IntoIter<Item>,
    begun: VecDeque<(Arc<Item>, Stream)>,
}

impl Ahead {
    /// Begins to read the first of `items`.
    pub fn new(source: Arc<Source>, wish: Wish, items: Vec<Item>) -> Self {
        Self {
            source,
            wish: Arc::new(wish),
            rest: items.into_iter(),
            begun: VecDeque::new(),
        }
    }

    /// The next instance.
    pub fn next(&mut self) -> Option<(Arc<Item>, Stream)> {
        while self.begun.len() < INSTANCES {
            let Some(item) = self.rest.next() else { break };
            let item = Arc::new(item);
            let (source, wish) = (Arc::clone(&self.source), Arc::clone(&self.wish));
            let read = Arc::clone(&item);
            let stream =
                begin(move |chunks| async move { read_all(&source, &read, &wish, &chunks).await });
            self.begun.push_back((item, stream));
        }
        self.begun.pop_front()
    }
}

type Chunks = mpsc::Sender<anyhow::Result<Bytes>>;

/// Starts to read; an error ends the stream.
fn begin<F>(read: impl FnOnce(Chunks) -> F) -> Stream
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let read = read(sender.clone());
    tokio::spawn(async move {
        if let Err(error) = read.await {
            // Whoever writes may have given up.
            let _ = sender.send(Err(error)).await;
        }
    });
    Stream::Ahead(receiver)
}

async fn read_all(
    source: &Source,
    item: &Item,
    wish: &Wish,
    chunks: &Chunks,
) -> anyhow::Result<()> {
    let mut stream = source.open(item, wish).await?;
    while let Some(chunk) = stream.next().await? {
        if chunks.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn several_are_read_before_the_first_is_written() {
        let all_begun = Arc::new(tokio::sync::Barrier::new(INSTANCES));
        let streams: Vec<Stream> = (0..INSTANCES)
            .map(|number| {
                let all_begun = Arc::clone(&all_begun);
                begin(move |chunks| async move {
                    all_begun.wait().await;
                    for _ in 0..2 * CHUNKS {
                        let chunk = Bytes::from(vec![number as u8]);
                        chunks.send(Ok(chunk)).await?;
                    }
                    anyhow::ensure!(number % 2 == 0, "an odd one");
                    Ok(())
                })
            })
            .collect();
        for (number, mut stream) in streams.into_iter().enumerate() {
            for _ in 0..2 * CHUNKS {
                assert_eq!(stream.next().await.unwrap().unwrap()[0], number as u8);
            }
            match number % 2 {
                0 => assert!(stream.next().await.unwrap().is_none()),
                _ => assert!(stream.next().await.is_err()),
            }
        }
    }
}
