//! The permission that a PartiQL statement needs ("IAM security policies with PartiQL for DynamoDB", DynamoDB developer guide).
//!
//! Promises: a statement is understood as DynamoDB understands it, or not at all. So comments, Ion literals, subqueries and
//! everything else in which a second table could hide make a statement that is not understood.

use crate::names;

use super::requests::{Asked, arn};

/// A part of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A keyword, or a name without quotes.
    Word(String),
    /// A name in double quotes.
    Name(String),
    /// A text, a number, or a parameter.
    Value,
    Symbol(char),
}

impl Token {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

/// The permission that `statement` needs; none where it is not understood.
pub fn asked(statement: &str) -> Option<Asked> {
    let tokens = tokens(statement)?;
    let (verb, rest) = tokens.split_first()?;
    let (action, (resource, rest), follows): (_, _, &[&str]) = if verb.is("SELECT") {
        let mut clauses = rest.split(|token| token.is("FROM"));
        let (_columns, from, None) = (clauses.next()?, clauses.next()?, clauses.next()) else { return None };
        ("PartiQLSelect", target(from)?, &["WHERE", "ORDER", ""])
    } else if verb.is("INSERT") {
        ("PartiQLInsert", target(after("INTO", rest)?)?, &["VALUE"])
    } else if verb.is("UPDATE") {
        ("PartiQLUpdate", target(rest)?, &["SET", "REMOVE"])
    } else if verb.is("DELETE") {
        ("PartiQLDelete", target(after("FROM", rest)?)?, &["WHERE", "RETURNING", ""])
    } else {
        return None;
    };
    // Anything else after the table could be an alias, or a second table.
    let is_next = |keyword: &&str| rest.first().map_or(keyword.is_empty(), |next| next.is(keyword));
    follows.iter().any(is_next).then(|| Asked::new(format!("dynamodb:{action}"), resource))
}

/// The tokens after a keyword.
fn after<'a>(keyword: &str, tokens: &'a [Token]) -> Option<&'a [Token]> {
    let (first, rest) = tokens.split_first()?;
    first.is(keyword).then_some(rest)
}

/// The ARN of a table, or of an index of it where the statement names one, and what follows.
fn target(tokens: &[Token]) -> Option<(String, &[Token])> {
    fn name(token: &Token) -> Option<&str> {
        match token {
            Token::Word(name) | Token::Name(name) if !name.is_empty() => Some(name),
            _ => None,
        }
    }
    let (table, rest) = tokens.split_first()?;
    let table = arn(name(table)?, names::table_arn);
    match rest {
        [Token::Symbol('.'), index, rest @ ..] => Some((format!("{table}/index/{}", name(index)?), rest)),
        _ => Some((table, rest)),
    }
}

fn tokens(statement: &str) -> Option<Vec<Token>> {
    let mut rest = statement;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        rest = match first {
            _ if first.is_ascii_whitespace() => &rest[1..],
            '"' | '\'' => {
                let (text, after) = quoted(&rest[1..], first)?;
                tokens.push(if first == '"' { Token::Name(text) } else { Token::Value });
                after
            }
            _ if is_name(first) => {
                let (word, after) = rest.split_at(rest.find(|of| !is_name(of)).unwrap_or(rest.len()));
                let is_number = first.is_ascii_digit();
                tokens.push(if is_number { Token::Value } else { Token::Word(word.to_owned()) });
                after
            }
            '?' => {
                tokens.push(Token::Value);
                &rest[1..]
            }
            '{' | '}' | '[' | ']' | '(' | ')' | ',' | ':' | '*' | '+' | '-' | '.' | '=' | '<' | '>' | '!' => {
                if rest.starts_with("--") {
                    return None;
                }
                tokens.push(Token::Symbol(first));
                &rest[1..]
            }
            _ => return None,
        };
    }
    Some(tokens)
}

/// A text up to its closing quote, which stands twice where it belongs to the text, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let doubled = format!("{quote}{quote}");
    let mut from = 0;
    loop {
        let at = from + text[from..].find(quote)?;
        if !text[at..].starts_with(&doubled) {
            return Some((text[..at].replace(&doubled, &quote.to_string()), &text[at + 1..]));
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_statement_needs_its_permission_on_its_table_or_index() {
        let t = names::table_arn("t");
        let index = format!("{t}/index/i");
        for (statement, action, resource) in [
            (r#"SELECT * FROM "t""#, "Select", &t),
            (r#"select a, b.c[0] from t where a = 'from "u"' order by a"#, "Select", &t),
            (r#"SELECT "FROM" FROM "t"."i" WHERE a = ?"#, "Select", &index),
            ("SELECT a FROM t.i WHERE a IN [1, 2.5e3] AND NOT b <> '--'", "Select", &index),
            (r#"INSERT INTO "t" VALUE {'a': 'it''s', 'b': [1, -2]}"#, "Insert", &t),
            (r#"UPDATE "t" SET a = a + 1 REMOVE b WHERE c = ? RETURNING ALL NEW *"#, "Update", &t),
            (r#"UPDATE "t"."i" SET a = 1"#, "Update", &index),
            ("DELETE\n\tFROM t WHERE a = 'x' AND v=1", "Delete", &t),
            (&format!(r#"DELETE FROM "{t}""#), "Delete", &t),
        ] {
            let expected = Asked::new(format!("dynamodb:PartiQL{action}"), resource);
            assert_eq!(asked(statement), Some(expected), "{statement}");
        }
        // The names of tables have no quotes, but a name in a statement may.
        assert_eq!(asked(r#"SELECT * FROM "a""b""#).unwrap().resource, names::table_arn("a\"b"));
    }

    #[test]
    fn a_statement_in_which_another_table_could_hide_is_not_understood() {
        for statement in [
            "",
            "SELECT *",
            "SELECT * FROM",
            "FROM t SELECT *",
            r#"SELECT * FROM "t", "u""#,
            r#"SELECT * FROM "t" u"#,
            r#"SELECT * FROM (SELECT * FROM "u")"#,
            r#"SELECT a FROM t WHERE EXISTS (SELECT * FROM "u" WHERE a = 1)"#,
            "SELECT * -- FROM t\n FROM u",
            "SELECT * /* FROM t */ FROM u",
            "DELETE -- x\n FROM t",
            "DELETE FROM t; DELETE FROM u",
            "SELECT * FROM t;",
            "SELECT `x` FROM t",
            "DELETE FROM 't'",
            r#"DELETE FROM "t"#,
            r#"DELETE FROM "" WHERE a = 1"#,
            "DELETE FROM t.i.j",
            "DELETE FROM ?",
            "DELETE FROM 1",
            "DELETE t",
            "INSERT INTO t",
            "INSERT t VALUE {}",
            "REPLACE INTO t VALUE {}",
            "UPSERT INTO t VALUE {}",
            "UPDATE t",
            "DROP TABLE t",
            "DELETE\u{a0}FROM t",
            "DELETE FROM \u{e4}",
            "DELETE FROM t WHERE a = 'x",
            "EXISTS (SELECT * FROM t)",
            "\u{feff}DELETE FROM t",
        ] {
            assert_eq!(asked(statement), None, "{statement}");
        }
    }
}
