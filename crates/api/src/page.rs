//! Lists, a page at a time. The token is the key of the last item of the page before, so a list that changes between two
//! pages neither repeats nor skips what stays in it.

use carillon_rpc::Refusal;
use carillon_rpc::names::NameError;

/// The largest page.
const MOST: u32 = 1000;

/// Which page is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageRequest<K> {
    /// The most items.
    pub(crate) size: usize,
    /// Only items whose key is greater; `None` for the first page.
    pub(crate) after: Option<K>,
}

impl<K: Ord> PageRequest<K> {
    /// Reads `page_size`, where 0 means `default`, and `page_token` with `key`.
    pub(crate) fn read(
        size: u32,
        default: u32,
        token: &str,
        key: impl FnOnce(&str) -> Result<K, NameError>,
    ) -> Result<Self, Refusal> {
        let after = match token {
            "" => None,
            token => Some(key(token).map_err(|_| {
                Refusal::invalid("page_token", format_args!("{token:?}"), "the next_page_token of the page before")
            })?),
        };
        Ok(PageRequest { size: read_size("page_size", size, default)?, after })
    }

    /// Whether an item with this key is not before the page.
    pub(crate) fn may_hold(&self, key: &K) -> bool {
        self.after.as_ref().is_none_or(|after| key > after)
    }

    /// How many items that the page may hold are enough: one more tells that there is a next page.
    pub(crate) const fn look_ahead(&self) -> usize {
        self.size + 1
    }

    /// Cuts the page out of `all`, which is in order of key; with it comes the token of the next, empty after the last.
    pub(crate) fn cut<T>(
        &self,
        mut all: Vec<T>,
        key: impl Fn(&T) -> &K,
        token: impl Fn(&K) -> String,
    ) -> (Vec<T>, String) {
        if let Some(after) = &self.after {
            all.drain(..all.partition_point(|item| key(item) <= after));
        }
        let more = all.len() > self.size;
        all.truncate(self.size);
        let next = all.last().filter(|_| more).map(|last| token(key(last)));
        (all, next.unwrap_or_default())
    }
}

/// Reads the number of items in `field`, where 0 means `default`.
pub(crate) fn read_size(field: &'static str, size: u32, default: u32) -> Result<usize, Refusal> {
    let size = if size == 0 { default } else { size };
    if size > MOST {
        return Err(Refusal::invalid(field, size, "a number of items: 1 to 1000, or 0 for the default"));
    }
    Ok(size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u32, NameError> {
        text.parse().map_err(|_| NameError { given: text.into(), expected: "a number" })
    }

    fn pages(all: &[u32], size: u32) -> Vec<Vec<u32>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let request = PageRequest::read(size, 2, &token, number).unwrap();
            let (page, next) = request.cut(all.to_vec(), |item| item, u32::to_string);
            pages.push(page);
            if next.is_empty() {
                return pages;
            }
            token = next;
        }
    }

    #[test]
    fn pages_together_are_the_list() {
        assert_eq!(pages(&[1, 3, 5, 7, 9], 2), [vec![1, 3], vec![5, 7], vec![9]]);
        assert_eq!(pages(&[1, 3], 0), [[1, 3]]);
        assert_eq!(pages(&[], 2), [Vec::<u32>::new()]);
    }

    #[test]
    fn a_page_begins_after_its_token_though_that_item_is_gone() {
        let request = PageRequest::read(2, 2, "4", number).unwrap();
        assert_eq!(request.cut(vec![1, 3, 5, 7, 9], |item| item, u32::to_string), (vec![5, 7], "7".into()));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_field() {
        let field = |refusal| match refusal {
            Refusal::Invalid { field, .. } => field,
            other => panic!("{other}"),
        };
        assert_eq!(field(PageRequest::read(2, 2, "x", number).unwrap_err()), "page_token");
        assert_eq!(field(PageRequest::read(1001, 2, "", number).unwrap_err()), "page_size");
    }
}
