"""Reads files of every format, and Python objects, into `Table`s of strings. Nothing is guessed and nothing is changed.

In the order in which data pass through them:

========================  =============================================================================================
``input_files``           the files that paths, folders and patterns name; refuses outputs that are inputs
``remote_files``          the same for addresses such as ``s3://``
``unpack``                a file's format and compression, and its bytes
``decode``                bytes of a text file to text: strict UTF-8
``parse``                 a file to a `Grid` of cells, by one of the next four
``delimited``             TSV and CSV
``records``               JSON lines and JSON
``columnar``              Parquet and Arrow
``workbook``              Excel
``objects``               data frames, datasets and lists to a `Grid`
``grid``                  `Grid`: cells before any column has a role
``headers``               whether delimited text has a header, and headers repeated in it
``column_names``          the column names that are recognised
``cell_kinds``            what cells look like: labels, texts, numbers, names
``columns``               the role of each column
``string_columns``        cells to checked strings
``column_types``          types of columns in Parquet and Arrow
``original``              the columns with their own types, for an output
``read``                  all of that for a whole source: `read_table`, `read_pairs`
``stream``                all of that for a file part by part, and files in chunks of rows
========================  =============================================================================================
"""
