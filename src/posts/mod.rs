//! Posts as the network streams them, made up: whoever simulates a Twitter writes them with this.
//!
//! | file | what |
//! |---|---|
//! | `post`, `people` | people and their posts, before they are rendered |
//! | `words` | what people say |
//! | `render`, `entities` | API v1.1 statuses and v2 objects of the usual size, and control messages |
//! | `json` | JSON as the networks' serializers write it |

pub mod entities;
pub mod json;
pub mod people;
pub mod post;
pub mod render;
pub mod words;
