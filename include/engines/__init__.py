"""Engines of others, for who has them: Ray and Spark. Imported only where a setting names one."""
