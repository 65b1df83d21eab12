//! Answers on their way. The index is read page by page, ahead of the one who asked, so that no
//! snapshot of it and no thread ever waits for a slow reader: a snapshot that is held keeps the
//! index's log from being cut.

use crate::error::{Error, Result};
use gantry_core::ae_title::AeTitle;
use gantry_core::failure::Kind;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::{Vr, tags};
use gantry_index::query::{Cursor, Query};
use gantry_index::search::{Cancel, SearchEnd};
use gantry_index::{Index, Permit};
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Answers that are handed over together, at most.
const BATCH_MAX: usize = 64;
/// Answers that are read from one snapshot, and may wait for the one who asked.
const PAGE_MAX: u64 = 1024;

/// Takes the attributes of a match and its place.
type Visit<'a> = dyn FnMut(DataSet, Cursor) -> ControlFlow<()> + 'a;

/// What is searched: the index, or what a test puts in its place.
pub(super) trait Searched: Debug + Send + Sync {
    fn visit(
        &self,
        query: &Query,
        permit: &Permit,
        cancel: &Cancel,
        visit: &mut Visit<'_>,
    ) -> gantry_index::error::Result<SearchEnd>;
}

impl Searched for Index {
    fn visit(
        &self,
        query: &Query,
        permit: &Permit,
        cancel: &Cancel,
        visit: &mut Visit<'_>,
    ) -> gantry_index::error::Result<SearchEnd> {
        self.search(query, permit, cancel, |found| {
            visit(found.attributes, found.cursor)
        })
    }
}

/// Answers on their way. Dropping them ends the search.
///
/// What is stored or deleted while they are read may or may not be among them; none comes twice.
#[derive(Debug)]
pub struct Matches {
    index: Arc<dyn Searched>,
    query: Query,
    permit: Permit,
    ae_title: AeTitle,
    cancel: Cancel,
    /// What is read of the page: no more than the page has.
    page: UnboundedReceiver<Found>,
    batch: std::vec::IntoIter<DataSet>,
    is_over: bool,
}

#[derive(Debug)]
enum Found {
    Answers(Vec<DataSet>),
    /// The page ends here, after so many answers.
    More(Cursor, u64),
    End,
    Failed(Error),
}

impl Matches {
    /// Begins a search.
    pub(super) fn begin(
        index: Arc<dyn Searched>,
        query: Query,
        permit: Permit,
        ae_title: AeTitle,
    ) -> Self {
        let mut matches = Self {
            index,
            query,
            permit,
            ae_title,
            cancel: Cancel::default(),
            page: unbounded_channel().1,
            batch: Vec::new().into_iter(),
            is_over: false,
        };
        matches.read_page();
        matches
    }

    /// The next answer, a data set in UTF-8; nothing at the end. An error ends the answers.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<DataSet>> {
        loop {
            if let Some(answer) = self.batch.next() {
                return Some(Ok(answer));
            }
            if self.is_over {
                return None;
            }
            match self.page.recv().await {
                Some(Found::Answers(batch)) => self.batch = batch.into_iter(),
                Some(Found::More(cursor, count)) => {
                    self.query.after = Some(cursor);
                    self.query.offset = 0;
                    if let Some(limit) = &mut self.query.limit {
                        *limit = limit.saturating_sub(count);
                    }
                    self.read_page();
                }
                Some(Found::End) => self.is_over = true,
                Some(Found::Failed(error)) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                None => {
                    self.is_over = true;
                    return Some(Err(Error::new(Kind::Internal, "a search broke off")));
                }
            }
        }
    }

    fn read_page(&mut self) {
        let (sender, page) = unbounded_channel();
        self.page = page;
        let index = Arc::clone(&self.index);
        let query = self.query.clone();
        let (permit, ae_title) = (self.permit.clone(), self.ae_title.clone());
        let cancel = self.cancel.clone();
        tokio::task::spawn_blocking(move || {
            read_page(&*index, (&query, &permit), &ae_title, &cancel, &sender);
        });
    }
}

/// Nobody wants what is still searched for.
impl Drop for Matches {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn read_page(
    index: &dyn Searched,
    (query, permit): (&Query, &Permit),
    ae_title: &AeTitle,
    cancel: &Cancel,
    sender: &UnboundedSender<Found>,
) {
    let mut batch = Vec::new();
    // The first answers go at once; later ones in company.
    let mut batch_max = 1;
    let mut count = 0;
    let mut last = None;
    let outcome = index.visit(query, permit, cancel, &mut |attributes, cursor| {
        count += 1;
        last = Some(cursor);
        batch.push(answer(attributes, query.level, ae_title));
        if batch.len() >= batch_max {
            batch_max = (batch_max * 2).min(BATCH_MAX);
            let whole = std::mem::take(&mut batch);
            if sender.send(Found::Answers(whole)).is_err() {
                return ControlFlow::Break(());
            }
        }
        match count < PAGE_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    let end = match (outcome, last) {
        (Err(error), _) => Found::Failed(error.into()),
        (Ok(SearchEnd::Stopped), Some(cursor)) if query.limit.is_none_or(|limit| count < limit) => {
            Found::More(cursor, count)
        }
        (Ok(_), _) => Found::End,
    };
    // The one who asked may have gone: then nobody is left to tell.
    let _ = sender.send(Found::Answers(batch));
    let _ = sender.send(end);
}

/// What every answer says besides what was asked (PS3.4 C.4.1.1.3.2).
fn answer(mut answer: DataSet, level: Level, ae_title: &AeTitle) -> DataSet {
    answer.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str());
    answer.put_text(tags::RETRIEVE_AE_TITLE, Vr::AE, ae_title.as_str());
    answer.put_text(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_index::error::IndexError;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// An index that never finds anything and never ends.
    #[derive(Debug)]
    struct Endless {
        ended: UnboundedSender<()>,
    }

    impl Searched for Endless {
        fn visit(
            &self,
            _: &Query,
            _: &Permit,
            cancel: &Cancel,
            _: &mut Visit<'_>,
        ) -> gantry_index::error::Result<SearchEnd> {
            while !cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.ended.send(()).unwrap();
            Err(IndexError::Cancelled)
        }
    }

    /// Studies numbered from 1, and how many searches read them at this moment.
    #[derive(Debug, Default)]
    struct Numbers {
        total: i64,
        reading: AtomicUsize,
        asked: Mutex<Vec<Query>>,
    }

    impl Searched for Numbers {
        fn visit(
            &self,
            query: &Query,
            _: &Permit,
            _: &Cancel,
            visit: &mut Visit<'_>,
        ) -> gantry_index::error::Result<SearchEnd> {
            self.reading.fetch_add(1, Ordering::SeqCst);
            self.asked.lock().unwrap().push(query.clone());
            let behind = query.after.map_or(0, |cursor| {
                let text = cursor.to_string();
                text.split('.').nth(1).unwrap().parse().unwrap()
            });
            let skipped = i64::try_from(query.offset).unwrap();
            let mut end = SearchEnd::Complete;
            for (given, number) in (0..).zip(behind + 1 + skipped..=self.total) {
                if query.limit.is_some_and(|limit| given >= limit) {
                    end = SearchEnd::Limit;
                    break;
                }
                let cursor = Cursor::parse(&format!("0.{number}.0.0")).unwrap();
                if visit(study(number), cursor).is_break() {
                    end = SearchEnd::Stopped;
                    break;
                }
            }
            self.reading.fetch_sub(1, Ordering::SeqCst);
            Ok(end)
        }
    }

    fn study(number: i64) -> DataSet {
        let mut attributes = DataSet::new();
        attributes.put_text(tags::STUDY_ID, Vr::SH, &number.to_string());
        attributes
    }

    fn begin(index: &Arc<Numbers>, query: Query) -> Matches {
        let index: Arc<dyn Searched> = index.clone();
        Matches::begin(
            index,
            query,
            Permit::everything(),
            AeTitle::parse("HERE").unwrap(),
        )
    }

    async fn numbers(mut matches: Matches) -> Vec<i64> {
        let mut numbers = Vec::new();
        while let Some(found) = matches.next().await {
            let text = found.unwrap().ascii(tags::STUDY_ID).unwrap().to_owned();
            numbers.push(text.parse().unwrap());
        }
        numbers
    }

    #[tokio::test]
    async fn a_search_that_is_dropped_ends_in_the_index() {
        let (ended, mut has_ended) = unbounded_channel();
        let query = Query::universal(Level::Study);
        let title = AeTitle::parse("HERE").unwrap();
        let matches = Matches::begin(
            Arc::new(Endless { ended }),
            query,
            Permit::everything(),
            title,
        );
        assert!(has_ended.try_recv().is_err());
        drop(matches);
        let ended = tokio::time::timeout(Duration::from_secs(10), has_ended.recv());
        ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn pages_join_without_a_gap_and_keep_limit_and_offset() {
        let total = 3 * PAGE_MAX as i64 + 7;
        for (offset, limit) in [
            (0, None),
            (5, None),
            (0, Some(PAGE_MAX)),
            (3, Some(2 * PAGE_MAX + 1)),
            (0, Some(0)),
        ] {
            let index = Arc::new(Numbers {
                total,
                ..Numbers::default()
            });
            let query = Query {
                offset,
                limit,
                ..Query::universal(Level::Study)
            };
            let first = 1 + i64::try_from(offset).unwrap();
            let last = limit.map_or(total, |limit| first + i64::try_from(limit).unwrap() - 1);
            let expected: Vec<i64> = (first..=last).collect();
            let found = numbers(begin(&index, query)).await;
            assert!(found == expected, "offset {offset}, limit {limit:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_read_while_the_reader_rests() {
        let index = Arc::new(Numbers {
            total: 2 * PAGE_MAX as i64,
            ..Numbers::default()
        });
        let mut matches = begin(&index, Query::universal(Level::Study));
        matches.next().await.unwrap().unwrap();
        // The page is read to its end without anyone taking it, and no other is begun.
        for _ in 0..1000 {
            if index.reading.load(Ordering::SeqCst) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(index.reading.load(Ordering::SeqCst), 0);
        assert_eq!(index.asked.lock().unwrap().len(), 1);
        let rest = numbers(matches).await;
        assert_eq!(rest.len() as u64, 2 * PAGE_MAX - 1);
    }
}
