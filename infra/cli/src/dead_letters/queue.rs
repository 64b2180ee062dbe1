//! The queue in which dead letters wait, on SQS. Who receives a letter hides it from others for a while.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{MessageSystemAttributeName, QueueAttributeName},
};

use super::letter::Letter;
use crate::{
    Error,
    connection::{Connection, explained},
    output::note,
};

/// A queue of dead letters.
pub struct Queue {
    client: Client,
    url: String,
}

/// How long what is looked at is hidden from others who look.
const HIDDEN: Duration = Duration::from_mins(1);
/// How long what is redriven is.
pub const HIDDEN_FOR_REDRIVE: Duration = Duration::from_mins(15);
/// Letters that are looked at, at most: as many as are read before the first of them shows up again.
const LOOK_MAX: usize = 1_000;

impl Queue {
    /// The deployment's queue `name`.
    pub async fn connect(connection: &Connection, name: &str) -> Result<Self, Error> {
        let (client, name) = (connection.sqs(), connection.name_of(name));
        let found = client.get_queue_url().queue_name(&name).send().await;
        let found = found.map_err(|error| explained(&error, &format!("the queue `{name}`"), &connection.advice()))?;
        Ok(Self::new(client, found.queue_url.ok_or("the queue has no URL")?))
    }

    /// The queue at `url`.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Some of those that wait, hidden from others for so long; none when all are hidden.
    pub async fn receive(&self, hidden: Duration) -> Result<Vec<Letter>, Error> {
        /// One request may miss what waits on another of the queue's servers (SQS developer guide, "short polling").
        const REQUESTS: u32 = 3;
        for _ in 0..REQUESTS {
            let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
            let hidden = i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX);
            let messages = receive.visibility_timeout(hidden).send().await?.messages.unwrap_or_default();
            if !messages.is_empty() {
                return Ok(messages.into_iter().map(Letter::new).collect());
            }
        }
        Ok(Vec::new())
    }

    /// All that wait, which stay where they are; some of them where they are more than [`LOOK_MAX`].
    pub async fn look(&self) -> Result<Vec<Letter>, Error> {
        let letters = self.up_to(LOOK_MAX, HIDDEN).await?;
        self.put_back(&letters).await;
        Ok(letters)
    }

    /// Those with these ids, hidden from others; none where one of them is missing.
    pub async fn take(&self, ids: &[String]) -> Result<Vec<Letter>, Error> {
        let found = self.up_to(LOOK_MAX, HIDDEN_FOR_REDRIVE).await?;
        let (wanted, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|letter| ids.contains(&letter.id));
        self.put_back(&others).await;
        if let Some(missing) = ids.iter().find(|id| !wanted.iter().any(|letter| letter.id == **id)) {
            self.put_back(&wanted).await;
            return Err(no_letter(missing));
        }
        Ok(wanted)
    }

    /// About how many letters somebody is at work on, or has looked at a moment ago: nobody sees them for so long.
    pub async fn hidden(&self) -> Result<u64, Error> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let asked = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let numbers = asked.send().await?.attributes.unwrap_or_default();
        // A queue that answers more than it was asked for is not counted in.
        Ok(names.iter().filter_map(|name| numbers.get(name)?.parse::<u64>().ok()).sum())
    }

    async fn up_to(&self, letters_max: usize, hidden: Duration) -> Result<Vec<Letter>, Error> {
        let (mut letters, mut seen) = (Vec::new(), BTreeSet::new());
        while letters.len() < letters_max {
            let before = letters.len();
            letters.extend(self.receive(hidden).await?.into_iter().filter(|letter| seen.insert(letter.id.clone())));
            if letters.len() == before {
                return Ok(letters);
            }
        }
        note(&format!("{} letters and more wait: these are some of them", letters.len()));
        Ok(letters)
    }

    /// Lets others see them again. One that this fails for comes back by itself.
    pub async fn put_back(&self, letters: &[Letter]) {
        for letter in letters {
            let change = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(&letter.receipt);
            if let Err(error) = change.visibility_timeout(0).send().await {
                note(&format!("{} stays hidden for a while: {}", letter.id, eventing::causes(&error)));
            }
        }
    }

    /// Takes it out for good.
    pub async fn delete(&self, letter: &Letter) -> Result<(), Error> {
        self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt).send().await?;
        Ok(())
    }
}

/// There is none with this id.
pub fn no_letter(id: &str) -> Error {
    format!("no dead letter {id} waits; it may be hidden for a minute after somebody looked").into()
}
