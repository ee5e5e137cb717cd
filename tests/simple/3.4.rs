//! A table whose tokens are the numbers of rows: a late event reaches the next client of its row.

impl<T> ClientTable<T> {
    pub fn insert(&mut self, client: T) -> Token {
        let row = self.free.pop().unwrap_or_else(|| self.add_row());
        self.rows[row].client = Some(client);
        token(row, 0)
    }

    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.rows.get_mut(row_of(token))?.client.as_mut()
    }

    pub fn remove(&mut self, token: Token) -> Option<T> {
        let client = self.rows.get_mut(row_of(token))?.client.take()?;
        self.free.push(row_of(token));
        Some(client)
    }
}
